// What went wrong with a web UI last, for the reason of a job that ends because of it (protocol 2.3, 8.3 no. 3).

const websocketKind = "websocket";

/**
 * One memory per web UI host. A kind is a kind of call, `registration` or `websocket`; a later success of the same
 * kind clears it. Whoever accepts a job forgets everything.
 */
export class RememberedErrors {
  /** By kind, the newest last; as many as there are kinds of calls. */
  private readonly texts = new Map<string, string>();

  note(kind: string, text: string): void {
    this.texts.delete(kind);
    this.texts.set(kind, text);
  }

  clear(kind: string): void {
    this.texts.delete(kind);
  }

  forget(): void {
    this.texts.clear();
  }

  /** The newest text; that of the websocket (kept as long as that is down) only when there is no other. */
  text(): string | undefined {
    const others = [...this.texts].filter(([kind]) => kind !== websocketKind);
    return others.at(-1)?.[1] ?? this.texts.get(websocketKind);
  }
}
