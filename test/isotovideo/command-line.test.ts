import { describe, expect, test } from "bun:test";
import { containerMounts, isotovideoCommandLine } from "../../src/isotovideo/command-line.ts";

const facts = {
  isotovideoPath: "/usr/bin/isotovideo",
  projectDirectory: "/var/lib/openqa",
  poolDirectory: "/var/lib/openqa/pool/3",
  mounts: ["/var/lib/openqa/share", "/etc/ssl/certs"],
};

function commandFor(settings: Record<string, string>): readonly string[] {
  return isotovideoCommandLine({ ...facts, settings }).command;
}

describe("the command that runs isotovideo", () => {
  test.each<[string, Record<string, string>, string[]]>([
    ["perl with isotovideo", {}, ["perl", "/usr/bin/isotovideo", "-d"]],
    [
      "empty settings do not count",
      { ISOTOVIDEO: "", OS_AUTOINST_GIT_REPO: "" },
      ["perl", "/usr/bin/isotovideo", "-d"],
    ],
    [
      "a command line for the shell, which a plain command replaces",
      { ISOTOVIDEO: "podman run --rm -e A=1 image:1.2 isotovideo -d" },
      ["/bin/sh", "-c", "exec podman run --rm -e A=1 image:1.2 isotovideo -d"],
    ],
    ["one that needs the shell", { ISOTOVIDEO: "cd x && ./iso" }, ["/bin/sh", "-c", "cd x && ./iso"]],
    ["one that sets a variable", { ISOTOVIDEO: "A=1 iso -d" }, ["/bin/sh", "-c", "A=1 iso -d"]],
    ["one with quotes", { ISOTOVIDEO: "iso 'a b'" }, ["/bin/sh", "-c", "iso 'a b'"]],
    [
      "a command line goes before a repository",
      { ISOTOVIDEO: "iso", OS_AUTOINST_GIT_REPO: "r" },
      ["/bin/sh", "-c", "exec iso"],
    ],
  ])("%s", (_, settings, command) => {
    expect(commandFor(settings)).toEqual(command);
  });

  test("is rootless podman with a home per pool for a repository of os-autoinst (field lesson 40)", () => {
    const line = isotovideoCommandLine({ ...facts, settings: { OS_AUTOINST_GIT_REPO: "https://g/os.git" } });
    expect(line.command).toEqual([
      "podman",
      "--root",
      "/var/lib/openqa/cache/podman/data/containers/storage",
      "--runroot",
      "/var/lib/openqa/cache/podman/run/containers",
      "--storage-opt",
      "ignore_chown_errors=true",
      "--cgroup-manager=cgroupfs",
      "--events-backend=file",
      "run",
      "--init",
      "--rm",
      "--entrypoint",
      "",
      "--device",
      "/dev/kvm",
      "-v",
      "/var/lib/openqa/pool/3:/pool",
      "-w",
      "/pool",
      "-v",
      "/var/lib/openqa/share:/var/lib/openqa/share:ro",
      "-v",
      "/etc/ssl/certs:/etc/ssl/certs:ro",
      "registry.opensuse.org/devel/openqa/containers/os-autoinst_dev:latest",
      "sh",
      "-c",
      'git clone --depth 1 --branch "$2" -- "$1" os-autoinst && make -C os-autoinst && os-autoinst/isotovideo -d',
      "sh",
      "https://g/os.git",
      "master",
    ]);
    const directories = ["/var/lib/openqa/pool/3/podman_tmp", "/var/lib/openqa/cache/podman/run"];
    expect(line.environment).toEqual({ HOME: directories[0]!, XDG_RUNTIME_DIR: directories[1]! });
    expect(line.directories).toEqual(directories);
  });

  test("takes branch and image from the settings, and nothing of them into the script", () => {
    const command = commandFor({
      OS_AUTOINST_GIT_REPO: '"; rm -rf /; "',
      OS_AUTOINST_GIT_BRANCH: "$(reboot)",
      OS_AUTOINST_CONTAINER_IMAGE: "my/image:1",
    });
    expect(command).toContain("my/image:1");
    expect(command.slice(-2)).toEqual(['"; rm -rf /; "', "$(reboot)"]);
    expect(command.at(-4)).not.toContain("reboot");
  });

  test("only says what is missing for an image without a repository", async () => {
    const child = Bun.spawn([...commandFor({ OS_AUTOINST_CONTAINER_IMAGE: "image" })], { stderr: "pipe" });
    expect(await child.stderr.text()).toStartWith(
      "OS_AUTOINST_CONTAINER_IMAGE requires OS_AUTOINST_GIT_REPO. ",
    );
    expect(await child.exited).not.toBe(0);
  });
});

test("containers see the shared folders and each folder of the cache but podman's", () => {
  expect(containerMounts("/p", ["a.example", "podman"])).toEqual([
    "/p/share",
    "/p/tests",
    "/p/cache/a.example",
    "/etc/ssl/certs",
    "/etc/pki",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
  ]);
});
