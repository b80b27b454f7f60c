// Who follows a job in a browser. Only counts: what those who follow get is the concern of the reporter.

/** What those who listen are told. Further viewers and those who are not the last to leave change nothing. */
export type AudienceChange = "first viewer came" | "last viewer left" | "developer came";

/** Exists from the offer on: who comes before the backend is up counts later (field lesson 39). */
export class Audience {
  private viewers = 0;
  private hasDeveloperSession = false;
  private readonly listeners = new Set<(change: AudienceChange) => void>();

  viewerCame(): void {
    if (++this.viewers === 1) this.tell("first viewer came");
  }

  /** Those who came to a worker before this one may leave here as well. */
  viewerLeft(): void {
    if (this.viewers === 0) return;
    if (--this.viewers === 0) this.tell("last viewer left");
  }

  /** A session lasts until the job ends. */
  developerCame(): void {
    this.hasDeveloperSession = true;
    this.tell("developer came");
  }

  get isWatched(): boolean {
    return this.viewers > 0;
  }

  get hasDeveloper(): boolean {
    return this.hasDeveloperSession;
  }

  /** Calls back at each change, when it has taken place; returns what ends that. */
  onChange(listener: (change: AudienceChange) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private tell(change: AudienceChange): void {
    for (const listener of this.listeners) listener(change);
  }
}
