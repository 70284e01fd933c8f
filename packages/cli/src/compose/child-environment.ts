/**
 * The environment for processes that we start: ours without what is meant for us alone. The variables of a daemon may hold passwords,
 * and would reach into the settings of another.
 */
export function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CULVERT_")));
}
