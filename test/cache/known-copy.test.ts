import { describe, expect, test } from "bun:test";
import { judgeCopy } from "../../src/cache/known-copy.ts";

const file = { sizeBytes: 10, mtimeNs: 5n };
const version = (changes: object = {}) => ({ ...file, etag: '"a"', sha256: "cafe", ...changes });
const row = (changes: object = {}) => ({ etag: '"a"', sizeBytes: 10, isPending: false, ...changes });

describe("a file in the cache", () => {
  test("that is not there is missing, whatever index and notes say", () => {
    expect(judgeCopy(undefined, row(), [version()])).toEqual({ kind: "missing" });
  });

  test("is trusted when its notes know its size and time of change", () => {
    expect(judgeCopy(file, row(), [version()])).toEqual({ kind: "trusted", version: version() });
  });

  test("is trusted by its notes alone: a worker was killed before it wrote the row", () => {
    expect(judgeCopy(file, undefined, [version()])).toEqual({ kind: "trusted", version: version() });
  });

  test("is the version that fits while an old one is replaced", () => {
    const old = version({ etag: '"old"', mtimeNs: 1n });
    expect(judgeCopy(file, row({ etag: '"old"' }), [old, version()])).toMatchObject({
      kind: "trusted",
      version: { etag: '"a"' },
    });
    expect(judgeCopy({ sizeBytes: 10, mtimeNs: 1n }, row({ etag: '"old"' }), [old, version()])).toMatchObject(
      {
        version: { etag: '"old"' },
      },
    );
  });

  test("of the stock cache service is adopted, without a hash", () => {
    const adopted = { kind: "adopted", version: { ...file, etag: '"a"', sha256: undefined } };
    expect(judgeCopy(file, row(), [])).toEqual(adopted as never);
    const ofAnotherEtag = version({ etag: '"old"', mtimeNs: 1n });
    expect(judgeCopy(file, row(), [ofAnotherEtag])).toEqual(adopted as never);
  });

  test("with another time of change has to be read", () => {
    const touched = version({ mtimeNs: 1n });
    expect(judgeCopy(file, row(), [touched])).toEqual({ kind: "touched", candidates: [touched] });
  });

  test.each([
    ["a job has written to it", row(), [version({ sizeBytes: 11 })], "has been changed"],
    [
      "a job has written to an adopted one",
      row(),
      [version({ mtimeNs: 1n, sha256: undefined })],
      "has been changed",
    ],
    ["nobody knows it", undefined, [], "the index does not know it"],
    ["the stock service was killed amid it", row({ isPending: true }), [], "has not come to its end"],
    ["it was cut off", row({ sizeBytes: 11 }), [], "has 10 bytes, the index says 11"],
  ])("is unusable when %s", (_, itsRow, versions, why) => {
    const judgement = judgeCopy(file, itsRow, versions);
    expect(judgement.kind).toBe("unusable");
    expect("why" in judgement && judgement.why).toContain(why);
  });
});
