// Optimises the pictures of all slots of this worker in one process of their own, which is started with the first picture
// and ended when there are none: a picture that breaks it, or hangs it, costs no job more than that it goes out as it is.
import type { OwnSettings } from "../config/settings.ts";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { OptimisingProcess, type OptimisingProcessOptions } from "./optimising-process.ts";
import type { PictureAnswer, PictureRequest } from "./picture-messages.ts";
import { PictureQueue } from "./picture-queue.ts";
import { ProcessFaults } from "./process-faults.ts";

/** That wait for their turn; what comes on top goes out as it is. */
const maxWaitingPerPool = 10_000;

export type PictureOrder = Omit<PictureRequest, "id">;

export interface OrderedPicture {
  /** Undefined: it goes out as it is. Never rejects. */
  readonly answer: Promise<PictureAnswer | undefined>;
  /** An upload waits for it: it comes before those for which none does. */
  want(): void;
  /** Nobody waits for it any more. One that is being optimised is let finish. */
  drop(): void;
}

export interface PictureOptimiserOptions extends Omit<OptimisingProcessOptions, "onAnswer"> {
  readonly settings: OwnSettings["pictures"];
}

/** For those who have pictures. */
export type Optimises = Pick<PictureOptimiser, "optimise">;

interface Ordered {
  readonly pool: string;
  readonly order: PictureOrder;
  readonly resolve: (answer: PictureAnswer | undefined) => void;
}

export class PictureOptimiser implements AsyncDisposable {
  private readonly queue = new PictureQueue<Ordered>(maxWaitingPerPool);
  private readonly faults = new ProcessFaults();
  /** Those in the process, by the id of their request. */
  private readonly underWay = new Map<number, Ordered & { readonly timer: NodeJS.Timeout }>();
  private process: OptimisingProcess | undefined;
  private lastId = 0;
  private idleTimer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(
    private readonly options: PictureOptimiserOptions,
    private readonly log: Logger,
  ) {}

  optimise(order: PictureOrder, { isWanted }: { readonly isWanted: boolean }): OrderedPicture {
    const { promise: answer, resolve } = Promise.withResolvers<PictureAnswer | undefined>();
    const ordered: Ordered = { pool: order.pool, order, resolve };
    const isTaken = !this.isClosed && !this.faults.isPause && this.queue.add(ordered, isWanted);
    if (isTaken) this.fill();
    else resolve(undefined);
    return {
      answer,
      want: () => this.queue.want(ordered),
      drop: () => {
        if (this.queue.remove(ordered)) resolve(undefined);
      },
    };
  }

  /** Afterwards there is no process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    this.giveUpWaiting();
    clearTimeout(this.idleTimer);
    await this.process?.end();
  }

  /** Hands over as many as may be in the process at once. */
  private fill(): void {
    while (this.underWay.size < this.options.settings.parallel && !this.process?.takesNoMore) {
      const next = this.queue.next();
      if (!next) break;
      clearTimeout(this.idleTimer);
      this.process ??= this.start();
      if (this.process) this.hand(next, this.process);
      else next.resolve(undefined);
    }
  }

  private start(): OptimisingProcess | undefined {
    try {
      const started = new OptimisingProcess({ ...this.options, onAnswer: (answer) => this.hear(answer) });
      this.log.debug(`Optimising pictures in process ${started.pid}`);
      void started.ended.then((how) => this.ended(how));
      return started;
    } catch (error) {
      this.noteFault(`it cannot be started: ${errorText(error)}`, 1);
      return undefined;
    }
  }

  private hand(ordered: Ordered, process: OptimisingProcess): void {
    const id = ++this.lastId;
    const { timeoutMs } = this.options.settings;
    const { name, pool } = ordered.order;
    const timer = setTimeout(
      () => process.kill(`${name} in ${pool} took it longer than ${timeoutMs} ms`),
      timeoutMs,
    );
    this.underWay.set(id, { ...ordered, timer });
    process.send({ id, ...ordered.order });
  }

  /** Throws for an answer to nothing. */
  private hear(answer: PictureAnswer): void {
    const ordered = this.underWay.get(answer.id);
    if (!ordered) throw new Error(`it answered a request ${answer.id}, which it was not given`);
    this.underWay.delete(answer.id);
    clearTimeout(ordered.timer);
    this.faults.noteAnswer();
    ordered.resolve(answer);
    this.fill();
    if (this.underWay.size === 0) this.endWhenIdle();
  }

  private endWhenIdle(): void {
    clearTimeout(this.idleTimer);
    const { idleMs } = this.options.settings;
    this.idleTimer = setTimeout(() => {
      this.log.debug(`No picture for ${idleMs / 1000} s: the process that optimises them ends`);
      void this.process?.end();
    }, idleMs);
  }

  private ended(how: string): void {
    this.process = undefined;
    clearTimeout(this.idleTimer);
    const lost = [...this.underWay.values()];
    this.underWay.clear();
    for (const { timer, resolve } of lost) {
      clearTimeout(timer);
      resolve(undefined);
    }
    if (lost.length > 0 && !this.isClosed) this.noteFault(how, lost.length);
    this.fill();
  }

  private noteFault(how: string, lostCount: number): void {
    const { pauseMs } = this.faults.noteFault();
    if (pauseMs === 0) {
      this.log.warn(
        `The process that optimises pictures broke (${how}); pictures that go out as they are: ${lostCount}`,
      );
      return;
    }
    this.giveUpWaiting();
    this.log.warn(
      `The process that optimises pictures is of no use (${how}): for ${pauseMs / 60_000} minutes they go out as they ` +
        "are. OPTIMIZE_IMAGES=0 in workers.ini turns it off",
    );
  }

  private giveUpWaiting(): void {
    for (let next = this.queue.next(); next; next = this.queue.next()) next.resolve(undefined);
  }
}
