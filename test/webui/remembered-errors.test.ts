import { expect, test } from "bun:test";
import { RememberedErrors } from "../../src/webui/remembered-errors.ts";

function errors(...notes: [string, string][]): RememberedErrors {
  const memory = new RememberedErrors();
  for (const [kind, text] of notes) memory.note(kind, text);
  return memory;
}

test("nothing failed: no text", () => expect(errors().text()).toBe(undefined));

test("the newest error counts, also when its kind had failed before", () => {
  expect(errors(["a", "1"], ["b", "2"], ["a", "3"]).text()).toBe("3");
  expect(errors(["a", "1"], ["registration", "2"]).text()).toBe("2");
});

test("an error of the websocket counts only when there is no other", () => {
  expect(errors(["a", "1"], ["websocket", "2"]).text()).toBe("1");
  expect(errors(["websocket", "1"], ["websocket", "2"]).text()).toBe("2");
});

test("a success clears the errors of its kind and no others (field lesson 25)", () => {
  const memory = errors(["a", "1"], ["b", "2"], ["websocket", "3"]);
  memory.clear("b");
  expect(memory.text()).toBe("1");
  memory.clear("a");
  expect(memory.text()).toBe("3");
  memory.clear("websocket");
  expect(memory.text()).toBe(undefined);
});

test("forgetting clears all kinds", () => {
  const memory = errors(["a", "1"], ["websocket", "3"]);
  memory.forget();
  expect(memory.text()).toBe(undefined);
});
