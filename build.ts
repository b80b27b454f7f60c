// Builds dist/openqa-worker: one executable with everything in it. Subcommands are loaded only when they are called.
//   build.ts [OUTFILE] [--arch x64|arm64]
import { rename } from "node:fs/promises";
import { parseArgs } from "node:util";
import { embedSharp } from "./build/embed-sharp.ts";
import { findPlatform, isArchitecture } from "./build/platform.ts";

try {
  const { values, positionals } = parseArgs({
    options: { arch: { type: "string", default: process.arch } },
    allowPositionals: true,
  });
  const [outfile = "dist/openqa-worker"] = positionals;
  if (!isArchitecture(values.arch)) throw new Error(`--arch ${values.arch}: expected x64 or arm64`);
  const { name, packages, runtime } = await findPlatform(values.arch);
  const result = await Bun.build({
    entrypoints: ["commands/main.ts", "src/cache/index/index-thread.ts"],
    // All side by side in the executable: code that starts a thread finds the thread's entry beside itself, as in src/.
    naming: { entry: "[name].[ext]" },
    format: "esm",
    splitting: true,
    minify: true,
    bytecode: true,
    throw: false,
    plugins: [await embedSharp(name, packages)],
    compile: {
      ...runtime,
      outfile: `${outfile}.new`,
      // A pool directory holds files that a job controls: none of them may configure this program.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadPackageJson: false,
      autoloadTsconfig: false,
    },
  });
  for (const line of result.logs) console.error(String(line));
  if (!result.success) throw new Error("the code cannot be built");
  // By rename: whoever runs the old one is not disturbed.
  await rename(`${outfile}.new`, outfile);
  console.log(`${outfile} (${name}): ${(Bun.file(outfile).size / 1e6).toFixed(1)} MB`);
} catch (error) {
  console.error(`build.ts: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
