// Does one thing with a spool and kills itself with KILL before a step of it: a process of the test of crashes. Arguments:
// action, pool directory, spool directory, "same" or "other" file system, number of the step.
import { Spool } from "../../../src/job/spool/spool.ts";
import { type SpoolDisk, spoolDisk } from "../../../src/job/spool/spool-disk.ts";
import { recordingContext } from "../job-host.ts";
import { endedJob, onOtherFileSystem, week } from "./temporary-spool.ts";

const [action, poolDirectory = "", directory = "", fileSystem, killBefore] = process.argv.slice(2);
let step = 0;

const disk: SpoolDisk = new Proxy(
  { ...spoolDisk, ...(fileSystem === "other" ? onOtherFileSystem(poolDirectory) : {}) },
  {
    get(target, name, receiver) {
      const call = Reflect.get(target, name, receiver);
      return (...args: unknown[]) => {
        step++;
        if (step === Number(killBefore)) process.kill(process.pid, "SIGKILL");
        return call(...args);
      };
    },
  },
);

const context = recordingContext();
const spool = new Spool(directory, { keepRefusedMs: week, keepRefusedBytes: 1e6 }, disk);
if (action === "take") await spool.take({ poolDirectory, state: endedJob, isVarsRedacted: true }, context);
else
  for (const entry of await spool.waiting(context))
    if (action === "remove") await spool.remove(entry, context);
    else await spool.refuse(entry, "404", context);
