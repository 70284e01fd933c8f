export type { Session, SessionStats } from "./session.ts";
