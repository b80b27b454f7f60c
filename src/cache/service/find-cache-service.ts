// Who answers where a cache service of this host would: a directory has one kind of owner at a time.
import type { Context } from "../../context.ts";
import { ask, parseObject } from "./service-call.ts";
import { identitySchema, ownServiceName } from "./service-protocol.ts";

const answerTimeoutMs = 2000;

/**
 * Whether a cache service answers at a URL, and whose. What takes the connection but gives no answer counts as a stock
 * one: its database is busy for minutes at times, and to use its directory then would cost all that is in it.
 */
export async function findCacheService(url: string, context: Context): Promise<"stock" | "ours" | undefined> {
  const answer = await ask({ service: url, path: "info" }, answerTimeoutMs, context.signal);
  if ("cause" in answer) return isUnreachable(answer.cause) ? undefined : "stock";
  const identity = identitySchema.safeParse(parseObject(answer.text));
  if (identity.success) return identity.data.service === ownServiceName ? "ours" : "stock";
  // A stock one whose database is broken.
  return answer.headers.get("server")?.startsWith("Mojolicious") ? "stock" : undefined;
}

function isUnreachable(cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ECONNREFUSED" || code === "ENOTFOUND";
}
