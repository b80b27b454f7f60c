// An optimiser whose answers a test gives.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PictureAnswer } from "../../src/pictures/picture-messages.ts";
import type { Optimises, PictureOrder } from "../../src/pictures/picture-optimiser.ts";
import { openInside } from "../../src/results/pool-file.ts";

export interface PlayedOrder {
  readonly order: PictureOrder;
  isWanted: boolean;
  isDropped: boolean;
  /** Makes the copy of the file as it is now, and says so. */
  readonly makeSmaller: () => Promise<void>;
  readonly answer: (answer: PictureAnswer | undefined) => void;
}

export const bytesOfCopy = "smaller";

export class PlayedOrders implements Optimises {
  readonly orders: PlayedOrder[] = [];
  private readonly waits = new Set<() => void>();

  /** Names of all that were ordered, in order. */
  get names(): string[] {
    return this.orders.map(({ order }) => order.name);
  }

  optimise(order: PictureOrder, { isWanted }: { readonly isWanted: boolean }) {
    const { promise, resolve } = Promise.withResolvers<PictureAnswer | undefined>();
    const played: PlayedOrder = {
      order,
      isWanted,
      isDropped: false,
      answer: resolve,
      makeSmaller: async () => resolve(await smaller(order)),
    };
    this.orders.push(played);
    const want = () => {
      played.isWanted = true;
      this.wake();
    };
    const drop = () => {
      played.isDropped = true;
      resolve(undefined);
    };
    this.wake();
    return { answer: promise, want, drop };
  }

  /** The nth order of a picture, from 0, as soon as it is there and is such. */
  async of(
    name: string,
    nth = 0,
    isSuch: (order: PlayedOrder) => boolean = () => true,
  ): Promise<PlayedOrder> {
    const { promise, resolve } = Promise.withResolvers<PlayedOrder>();
    const look = () => {
      const order = this.orders.filter(({ order }) => order.name === name)[nth];
      if (order && isSuch(order)) resolve(order);
    };
    this.waits.add(look);
    look();
    return await promise.finally(() => this.waits.delete(look));
  }

  private wake(): void {
    for (const look of this.waits) look();
  }
}

async function smaller({ pool, name, copy }: PictureOrder): Promise<PictureAnswer> {
  await using file = await openInside(pool, name);
  if (!file) throw new Error(`${name} is not there`);
  await writeFile(join(pool, copy), bytesOfCopy, { flag: "wx" });
  const { version, inode, sizeBytes } = file;
  return {
    id: 1,
    version,
    inode,
    outcome: "smaller",
    bytesBefore: sizeBytes,
    bytesAfter: bytesOfCopy.length,
  };
}
