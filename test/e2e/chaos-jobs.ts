// The quick jobs that go through the unruly proxy, and what has to come out of them, whatever happens on the way.
import { jobSettings } from "./jobs.ts";
import { keySetting } from "./kept-isotovideo.ts";

export interface ChaosJob {
  readonly key: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly expected: {
    readonly result: string;
    readonly reason?: string;
    /** Results of the modules by name, in order. */
    readonly modules: readonly (readonly [name: string, result: string])[];
    readonly ulogs: readonly string[];
    /** Of these the server has "TYPE/NAME". */
    readonly publicAssets: readonly string[];
    readonly privateAssets: readonly string[];
  };
}

type Kind = (key: string) => {
  readonly settings: Readonly<Record<string, string>>;
  readonly expected: Omit<ChaosJob["expected"], "ulogs" | "publicAssets" | "privateAssets"> &
    Partial<ChaosJob["expected"]>;
};

const kinds: readonly Kind[] = [
  () => ({
    settings: { FAKE_MODULES: "first:ok,second:ok", FAKE_ULOGS: "notes.log:70000,short.log" },
    expected: {
      result: "passed",
      modules: [
        ["first", "passed"],
        ["second", "passed"],
      ],
      ulogs: ["notes.log", "short.log"],
    },
  }),
  (key) => ({
    settings: { FAKE_MODULES: "first:ok,second:fail", FAKE_ASSETS_PUBLIC: `chaos-${key}.img:50000` },
    expected: {
      result: "failed",
      modules: [
        ["first", "passed"],
        ["second", "failed"],
      ],
      publicAssets: [`chaos-${key}.img`],
    },
  }),
  () => ({
    settings: { FAKE_MODULES: "only:ok:2", FAKE_ASSETS_PRIVATE: "disk.qcow2:5000" },
    expected: { result: "softfailed", modules: [["only", "softfailed"]], privateAssets: ["disk.qcow2"] },
  }),
  () => ({
    settings: {
      FAKE_MODULES: "first:ok",
      FAKE_EXIT: "1",
      FAKE_BASE_STATE: '{"component":"backend","msg":"as the job wanted"}',
      FAKE_ULOGS: "last.log:100",
    },
    expected: {
      result: "incomplete",
      reason: "backend died: as the job wanted",
      modules: [["first", "passed"]],
      ulogs: ["last.log"],
    },
  }),
];

export function chaosJobs(count: number, workerClass: string): ChaosJob[] {
  return Array.from({ length: count }, (_, index) => {
    const key = String(index).padStart(3, "0");
    const { settings, expected } = kinds[index % kinds.length]!(key);
    return {
      key,
      settings: { ...jobSettings("quick", workerClass), FAKE_SECONDS: "0.4", ...settings, [keySetting]: key },
      expected: { ulogs: [], publicAssets: [], privateAssets: [], ...expected },
    };
  });
}
