// Case directory, product directory and needles of a job (protocol 4.3): which values isotovideo gets and which links
// the pool. Pure but for the last functions, which look what exists and make the links.
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import { isOn } from "../../config/read-values.ts";
import type { Context } from "../../context.ts";
import { SetupFailure } from "../../errors.ts";
import { statIfThere } from "../../ops/stat-if-there.ts";
import type { JobSettings } from "./job-settings.ts";
import { assertUsableName, type PoolLink, placeSymlink } from "./pool-entries.ts";

export interface DirectoryLink extends PoolLink {
  /** The source is made later, by isotovideo. */
  readonly mayDangle?: true;
}

export interface DirectoryPlan {
  readonly values: JobSettings;
  /** In this order: later ones may lead through earlier ones. */
  readonly links: readonly DirectoryLink[];
}

/** The directories in the test root that a job uses when it names none of its own. */
export interface DefaultDirectories {
  readonly caseDirectory: string;
  readonly productDirectory: string;
  readonly needles: string;
}

export interface TestPlaces {
  /** Folder of the test distributions. */
  readonly testRoot: string;
  readonly poolDirectory: string;
}

/** Whether isotovideo gets both tests and needles itself, so that none of the root are used. */
export function reliesOnGitOnly({ CASEDIR, NEEDLES_DIR }: Readonly<Record<string, string>>): boolean {
  return isUrl(CASEDIR ?? "") && isUrl(NEEDLES_DIR ?? "");
}

/** Values and links for a job whose default directories are these. */
export function planTestDirectories(settings: JobSettings, defaults: DefaultDirectories): DirectoryPlan {
  const paths = planCaseDirectory(settings, defaults);
  const needles = planNeedles(settings, paths.values["CASEDIR"] ?? "", defaults);
  return {
    values: { ...settings, ...paths.values, ...needles.values },
    links: [...paths.links, ...needles.links],
  };
}

function planCaseDirectory(settings: JobSettings, defaults: DefaultDirectories): DirectoryPlan {
  const { caseDirectory, productDirectory } = defaults;
  const name = basename(caseDirectory);
  const usesAbsolutePaths = isOn(settings["ABSOLUTE_TEST_CONFIG_PATHS"] ?? "");
  const CASEDIR = settings["CASEDIR"] || (usesAbsolutePaths ? caseDirectory : name);
  if (reliesOnGitOnly({ ...settings, CASEDIR })) return { values: { CASEDIR }, links: [] };
  const withinCase = relative(caseDirectory, productDirectory) || ".";
  if (CASEDIR === name) {
    const PRODUCTDIR = settings["PRODUCTDIR"] ?? join(name, withinCase);
    return { values: { CASEDIR, PRODUCTDIR }, links: [{ name, source: caseDirectory }] };
  }
  const isDefault = usesAbsolutePaths && !namesOwnDirectory(settings);
  return {
    values: { CASEDIR, PRODUCTDIR: settings["PRODUCTDIR"] ?? (isDefault ? productDirectory : withinCase) },
    links: [],
  };
}

function planNeedles(
  settings: JobSettings,
  caseDirectory: string,
  defaults: DefaultDirectories,
): DirectoryPlan {
  const given = settings["NEEDLES_DIR"];
  if (!given && !namesOwnDirectory(settings)) return { values: {}, links: [] };
  if (!given && isOn(settings["ABSOLUTE_TEST_CONFIG_PATHS"] ?? ""))
    return { values: { NEEDLES_DIR: defaults.needles }, links: [] };
  if (given && (isAbsolute(given) || isUrl(given))) return { values: {}, links: [] };

  // Even with a case directory of the job's own a relative path means the default needles.
  const name = basename(given || "needles");
  const [isInCaseDirectory, below = ""] = /^%CASEDIR%(.*)/i.exec(given ?? "") ?? [];
  if (isInCaseDirectory === undefined)
    return { values: { NEEDLES_DIR: name }, links: [{ name, source: defaults.needles }] };
  const link: DirectoryLink = isUrl(caseDirectory)
    ? { name, source: `${checkoutName(caseDirectory)}${below}`, mayDangle: true }
    : { name, source: `${caseDirectory}${below}` };
  return { values: { NEEDLES_DIR: name }, links: [link] };
}

/** Anything with a colon before the first / ? or #, so "git@host:path" too. */
function isUrl(text: string): boolean {
  return /^[^:/?#]+:/.test(text);
}

function namesOwnDirectory(settings: JobSettings): boolean {
  return isOn(settings["CASEDIR"] ?? "") || isOn(settings["PRODUCTDIR"] ?? "");
}

/** Name of the folder that isotovideo clones a URL into. */
function checkoutName(url: string): string {
  const path = url.replace(/[?#].*$/s, "").replace(/^[^:/?#]+:(\/\/[^/]*)?/, "");
  return basename(path).replace(/\.[^.]*$/, "");
}

/** Values and links of a job are in place when it resolves with its settings. Throws `SetupFailure`. */
export async function placeTestDirectories(
  settings: JobSettings,
  { testRoot, poolDirectory }: TestPlaces,
  { log, signal }: Context,
): Promise<JobSettings> {
  const { values, links } = planTestDirectories(settings, await defaultDirectories(settings, testRoot));
  for (const link of links) {
    signal.throwIfAborted();
    assertUsableName(link.name, "setup failure");
    if (link.mayDangle !== true && !(await exists(resolve(poolDirectory, link.source))))
      throw new SetupFailure("setup failure", `The source directory ${link.source} does not exist`);
    await placeSymlink(poolDirectory, link, log);
  }
  return values;
}

/** The default directories of a job in a test root, by what exists there. */
export async function defaultDirectories(
  settings: JobSettings,
  testRoot: string,
): Promise<DefaultDirectories> {
  const { CASEDIR, DISTRI, VERSION = "" } = settings;
  const distribution = CASEDIR && !isUrl(CASEDIR) && !isAbsolute(CASEDIR) ? CASEDIR : (DISTRI ?? "");
  const unversioned = resolve(testRoot, `./${distribution}`);
  const versioned = `${unversioned}-${VERSION}`;
  const caseDirectory = isOn(VERSION) && (await exists(versioned)) ? versioned : unversioned;
  const product = async (name: string) => {
    const path = join(caseDirectory, "products", name);
    return isOn(name) && (await exists(path)) ? path : caseDirectory;
  };
  return {
    caseDirectory,
    productDirectory: await product(DISTRI ?? distribution),
    needles: join(await product(distribution), "needles"),
  };
}

/** `share/tests` of the project folder, else `tests`. */
export async function findTestRoot(projectDirectory: string): Promise<string> {
  const [first, second] = [join(projectDirectory, "share", "tests"), join(projectDirectory, "tests")];
  return !(await isDirectory(first)) && (await isDirectory(second)) ? second : first;
}

async function exists(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

async function isDirectory(path: string): Promise<boolean> {
  return (await statIfThere(path))?.isDirectory() ?? false;
}
