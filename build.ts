// Builds dist/openqa-worker: one executable with everything in it. Subcommands are loaded only when they are called.
import { rename } from "node:fs/promises";

const outfile = process.argv[2] ?? "dist/openqa-worker";
const result = await Bun.build({
  entrypoints: ["commands/main.ts", "src/cache/index/index-thread.ts"],
  // All side by side in the executable: code that starts a thread finds the thread's entry beside itself, as in src/.
  naming: { entry: "[name].[ext]" },
  format: "esm",
  splitting: true,
  minify: true,
  bytecode: true,
  compile: {
    outfile: `${outfile}.new`,
    // A pool directory holds files that a job controls: none of them may configure this program.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadPackageJson: false,
    autoloadTsconfig: false,
  },
});
for (const line of result.logs) console.error(String(line));
if (!result.success) process.exit(1);
// By rename: whoever runs the old one is not disturbed.
await rename(`${outfile}.new`, outfile);
console.log(`${outfile}: ${(Bun.file(outfile).size / 1e6).toFixed(1)} MB`);
