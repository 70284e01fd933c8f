/**
 * Every event name that a log line may carry. The names are stable: they are what people search and alert for. Lines
 * of a forwarded connection carry its four identifiers (`client`, `clientPort`, `server`, `target`) and its `trace`.
 */
export type LogEvent =
  // The process.
  | "daemon.starting"
  | "daemon.ready"
  | "daemon.draining"
  | "daemon.stopped"
  | "daemon.failed"
  | "daemon.fault"
  | "config.effective"
  | "config.warning"
  | "admin.listening"
  | "admin.fault"
  | "status.listening"
  | "limit.reached"
  | "quic.warning"
  | "entrance.fault"
  | "exit.fault"
  // The link of P2 and P4 to the relay.
  | "link.dialing"
  | "link.up"
  | "link.down"
  | "link.retry"
  | "link.refused"
  // P3.
  | "relay.started"
  | "relay.listening"
  | "relay.stopped"
  | "relay.session.opened"
  | "relay.session.closed"
  | "relay.session.refused"
  | "relay.session.superseded"
  | "relay.connection.opened"
  | "relay.connection.closed"
  | "relay.connection.refused"
  | "relay.tip.refused"
  // P3's public entrance.
  | "relay.public.listening"
  | "relay.public.opened"
  | "relay.public.closed"
  | "relay.public.refused"
  | "relay.certificate.loaded"
  | "relay.certificate.failed"
  | "relay.expose.granted"
  | "relay.expose.refused"
  // P4.
  | "server.attached"
  | "server.detached"
  | "server.connection.opened"
  | "server.connection.closed"
  | "server.connection.refused"
  | "server.expose.granted"
  | "server.expose.refused"
  | "server.expose.fault"
  // P2.
  | "client.attached"
  | "client.detached"
  | "client.listening"
  | "client.connection.opened"
  | "client.connection.closed"
  | "client.connection.refused";
