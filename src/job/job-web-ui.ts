// The web UI as one job sees it: patient as long as the job runs, while at its end the spool can take over.
import type { Context } from "../context.ts";
import type { RestAnswer, RestRequest, WebUi } from "../webui/web-ui.ts";

export class JobWebUi implements WebUi {
  /** Tries of each call while the web UI is away. */
  private triesWhileAway = Number.POSITIVE_INFINITY;

  constructor(private readonly webUi: WebUi) {}

  get host() {
    return this.webUi.host;
  }
  get url() {
    return this.webUi.url;
  }
  get workerId() {
    return this.webUi.workerId;
  }
  get servicePortDelta() {
    return this.webUi.servicePortDelta;
  }
  get errors() {
    return this.webUi.errors;
  }

  /** From now on calls give up after so many tries while the web UI is away. */
  becomeImpatient(triesWhileAway: number): void {
    this.triesWhileAway = triesWhileAway;
  }

  call(request: RestRequest, context: Context): Promise<RestAnswer> {
    return this.webUi.call({ triesWhileAway: this.triesWhileAway, ...request }, context);
  }
}
