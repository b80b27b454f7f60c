import { expect, test } from "bun:test";
import { PictureQueue } from "../../src/pictures/picture-queue.ts";

interface Named {
  readonly pool: string;
  readonly name: string;
}

/** "a1" is picture 1 of pool a. */
const picture = (name: string): Named => ({ pool: name.slice(0, 1), name });

function queueOf({ found = [], wanted = [] }: { found?: Named[]; wanted?: Named[] }, maxPerPool = 100) {
  const queue = new PictureQueue<Named>(maxPerPool);
  for (const one of found) queue.add(one, false);
  for (const one of wanted) queue.add(one, true);
  return queue;
}

function allOf(queue: PictureQueue<Named>): string {
  const names: string[] = [];
  for (let next = queue.next(); next; next = queue.next()) names.push(next.name);
  return names.join(" ");
}

const pictures = (names: string) => names.split(" ").map(picture);

test("pictures of one pool come in the order in which they were written", () => {
  expect(allOf(queueOf({ found: pictures("a1 a2 a3") }))).toBe("a1 a2 a3");
});

test("pools take turns, however many pictures one of them has", () => {
  expect(allOf(queueOf({ found: pictures("a1 a2 a3 a4 a5 b1 b2 c1") }))).toBe("a1 b1 c1 a2 b2 a3 a4 a5");
});

test("what an upload waits for comes first, and there pools take turns as well", () => {
  const queue = queueOf({ found: pictures("a1 a2 b1"), wanted: pictures("a3 a4 c1") });
  expect(allOf(queue)).toBe("a3 c1 a4 b1 a1 a2");
});

test("one that an upload comes to wait for overtakes the others", () => {
  const found = pictures("a1 a2 b1");
  const queue = queueOf({ found });
  queue.want(found[1]!);
  expect(allOf(queue)).toBe("a2 b1 a1");
});

test("one that is wanted when it has been taken out does not come again", () => {
  const found = pictures("a1 a2");
  const queue = queueOf({ found });
  queue.next();
  queue.want(found[0]!);
  expect(queue.remove(found[0]!)).toBe(false);
  expect(allOf(queue)).toBe("a2");
});

test("one that is removed does not come, and a pool without any is none", () => {
  const found = pictures("a1 b1");
  const queue = queueOf({ found });
  expect(queue.remove(found[0]!)).toBe(true);
  expect(allOf(queue)).toBe("b1");
});

test("of each pool only so many wait", () => {
  const queue = queueOf({ found: pictures("a1"), wanted: pictures("a2") }, 2);
  expect(queue.add(picture("a3"), true)).toBe(false);
  expect(queue.add(picture("b1"), false)).toBe(true);
  queue.next();
  expect(queue.add(picture("a4"), false)).toBe(true);
});
