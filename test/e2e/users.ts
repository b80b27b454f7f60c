// Users that programs run as, and what they find in their environment.
import { join } from "node:path";

export const webUser = "geekotest";
export const workerUser = "_openqa-worker";
export const databaseUser = "postgres";

/** Environment of a program that starts with nothing inherited. */
export function plainEnv(folder: string, user: string): Record<string, string> {
  return {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    USER: user,
    HOME: join(folder, `home-${user}`),
  };
}
