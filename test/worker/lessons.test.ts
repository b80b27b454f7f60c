// What went wrong with workers in the field and is shown nowhere else, on the built executable.
import { expect, test } from "bun:test";
import { idleInfo, json, ScriptedService } from "../cache/service/scripted-service.ts";
import { cachingOptions, openCachePlace } from "../support/caching-host.ts";
import { plainJob } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  openHost,
  openWebUi,
  openWorker,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;

test(
  "a slot that finds out whether it is free while a job comes does not say so (field lesson 3)",
  async () => {
    const asked = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    let isHeld = false;
    await using service = new ScriptedService({
      "GET /info": async () => {
        if (isHeld) {
          asked.resolve();
          await told.promise;
        }
        return Response.json(idleInfo);
      },
      "POST /enqueue": json({ error: "no" }, 400),
    });
    const ui = await openWebUi();
    const place = await openCachePlace();
    const options = cachingOptions(place, { global: { CACHESERVICEURL: service.url } });
    const worker = await openWorker(ui, options);
    const workerId = await ui.registered();
    isHeld = true;
    await asked.promise;
    const from = ui.now;
    const job = ui.offer(plainJob);
    // The worker has the offer as soon as it has what was sent after it.
    ui.send(workerId, { type: "make_coffee" });
    await worker.awaitLog(/make_coffee/);
    told.resolve();
    const { index } = await ui.setDone(job.id);
    const statuses = ui.messages.filter((each) => each.index >= from && each.index < index);
    expect(statuses.map(({ value }) => value["status"])).not.toContain("free");
    expect(statuses.map(({ value }) => value["type"])).toContain("accepted");
  },
  testMs,
);

test(
  "a web UI never has two websockets of a slot (field lesson 11)",
  async () => {
    const { ui, worker } = await openHost();
    for (let lost = 1; lost <= 5; lost++) {
      const from = ui.now;
      ui.dropWebsockets();
      await ui.message({ type: "worker_status" }, { from });
    }
    // An end that is never confirmed makes the slot register again although its websocket is fine.
    ui.offer(plainJob);
    ui.fault(/set_done/, { status: 400 });
    const { index } = await ui.request(/set_done/);
    await ui.message({ type: "worker_status", status: "free" }, { from: index });
    await finishesNextJob(ui);
    expect(worker.log).not.toContain("only one connection per worker allowed");
  },
  testMs,
);

test(
  "the log says of each job how late the event loop was, and at the end of all of them",
  async () => {
    const { ui, worker } = await openHost({ flags: ["--verbose"] });
    await finishesNextJob(ui, undefined, { ...plainJob, FAKE_SECONDS: "0.5" });
    const late = "Event loop: late by [0-9.]+ ms \\(median\\), [0-9.]+ ms \\(p99\\), [0-9.]+ ms \\(max\\)";
    await worker.awaitLog(new RegExp(`\\[debug\\].*${late}`));
    worker.kill("SIGTERM");
    expect(await worker.exit()).toMatchObject({ code: 0 });
    expect(worker.log).toMatch(new RegExp(`\\[info\\].*${late}`));
  },
  testMs,
);
