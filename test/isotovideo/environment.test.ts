import { expect, test } from "bun:test";
import { isotovideoEnvironment } from "../../src/isotovideo/environment.ts";

test("isotovideo gets the worker's environment with what is its own, and nothing that Bun or a limit listens to", () => {
  const base = {
    PATH: "/bin",
    TMPDIR: "/elsewhere",
    PERL5OPT: "-MDevel::Cover",
    BUN_OPTIONS: "--inspect",
    BUN_BE_BUN: "1",
    MOJO_MAX_MESSAGE_SIZE: "1",
    MOJO_REACTOR: "Mojo::Reactor::EV",
    UNSET: undefined,
  };
  const values = {
    base,
    poolDirectory: "/pool/2",
    shareDirectory: "/share",
    openqaHostname: "openqa.example:9526",
    qemuPort: 20022,
    vnc: 92,
  };
  expect(isotovideoEnvironment(values)).toEqual({
    PATH: "/bin",
    TMPDIR: "/pool/2/tmp",
    PERL5OPT: "",
    OPENQA_SHAREDIR: "/share",
    OPENQA_HOSTNAME: "openqa.example:9526",
    QEMUPORT: "20022",
    VNC: "92",
    MOJO_INACTIVITY_TIMEOUT: "300",
    MOJO_CONNECT_TIMEOUT: "300",
    MOJO_REACTOR: "Mojo::Reactor::Poll",
  });
});
