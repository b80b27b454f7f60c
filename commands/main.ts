// Entry of the executable: finds the subcommand and loads that one only. The supervisor of a job and the
// process for pictures are served before anything else is loaded, to keep them small.
if (process.argv[2] === "__supervise") {
  const { supervise } = await import("../src/isotovideo/supervise.ts");
  await supervise(process.argv[3] ?? "");
} else if (process.argv[2] === "__pictures") {
  const { servePictures } = await import("../src/pictures/picture-process.ts");
  process.exit(await servePictures());
} else {
  const { main } = await import("./cli.ts");
  const code = await main(process.argv.slice(2));
  await new Promise((resolve) => process.stdout.write("", resolve));
  // What has ended does not wait for timers: an unreferenced one does not fire in an idle process of Bun 1.4.
  process.exit(code);
}

export {};
