/** A manifest to begin with, as `show-example` prints it. */
export const exampleManifest = `# Joins machines into one virtual network; start it with: culvert norouter THIS_FILE
#
# Every host gets an address of its own. Ports listed for a host are reached at its address, from every other host:
#   curl http://127.0.42.101:8080
# No host needs root, open ports or a VPN: all it takes is a command that runs a program there.

# What all hosts have unless they say otherwise (optional).
hostTemplate:
  # Proxies by which programs reach the hosts by name: curl --proxy http://127.0.0.1:18080 http://web:8080
  http: {listen: "127.0.0.1:18080"}
  socks: {listen: "127.0.0.1:18081"}

hosts:
  # The machine that this runs on has no cmd.
  local:
    vip: "127.0.42.100"

  # A container.
  web:
    cmd: "docker exec -i web culvert norouter"
    vip: "127.0.42.101"
    # LISTEN:CONNECT:PORT - here 127.0.42.101:8080 leads to port 80 of the container.
    ports: ["8080:127.0.0.1:80"]
    aliases: ["www"]

  # A machine behind ssh. A list is taken as it is; a text is split as a shell would.
  bastion:
    cmd: ["ssh", "user@bastion.example", "--", "culvert", "norouter"]
    vip: "127.0.42.150"
    # Names of the hosts in /etc/hosts, where the agent may write it.
    writeEtcHosts: false
    # No listeners at 127.0.42.x on that machine.
    loopback: {disable: true}
    # Where the agent keeps its hosts file.
    stateDir: {pathOnAgent: "~/.norouter/agent", disable: false}

# What the proxies reach through a host (optional). The last that fits wins.
routes:
  - via: bastion
    to: ["192.168.95.0/24", "*.corp.example"]
`;
