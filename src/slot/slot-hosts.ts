// The web UI hosts of a slot and how it stands with each.
import type { Connection, ConnectionState } from "../webui/connection.ts";

interface Host {
  readonly connection: Connection;
  readonly state: ConnectionState;
}

export class SlotHosts {
  /** By name. */
  private readonly hosts = new Map<string, Host>();
  /** Called with the next state of a host. */
  private readonly awaiting = new Map<string, (state: ConnectionState) => void>();

  noteState(connection: Connection, state: ConnectionState): void {
    const { name } = connection.host;
    this.hosts.set(name, { connection, state });
    const awaiting = this.awaiting.get(name);
    this.awaiting.delete(name);
    awaiting?.(state);
  }

  /** Resolves with what the connection to that host comes to next. Only the last call for a host counts. */
  nextState(host: string): Promise<ConnectionState> {
    return new Promise((resolve) => this.awaiting.set(host, resolve));
  }

  /** Sends each of them how the slot is. */
  tellAll(): void {
    for (const { connection } of this.hosts.values()) connection.sendStatusNow();
  }

  /** Whether all that there are, `count` of them, have refused the slot for good. */
  areAllDisabled(count: number): boolean {
    const disabled = [...this.hosts.values()].filter(({ state }) => state === "disabled");
    return count > 0 && disabled.length === count;
  }
}
