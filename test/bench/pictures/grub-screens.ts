// Screens of GRUB's rescue CD in a VM, typed at as the test distribution of the end-to-end tests does.
import { join } from "node:path";
import { GrubMachine, showsMenu, showsPrompt } from "./grub-machine.ts";

/** Typed one after the other; a screen is taken after each. Colours, full and empty screens in turn. */
const commands = [
  "help",
  "set pager=0",
  "ls",
  "ls -l",
  "echo installing the system",
  "set",
  "lsmod",
  "set color_normal=white/blue",
  "clear",
  "help echo",
  "ls (cd)/boot/grub/i386-pc",
  "set color_normal=yellow/black",
  "cat (cd)/boot/grub/i386-pc/moddep.lst",
  "clear",
  "echo step 1 of 3 is done",
  "ls (cd)/boot/grub",
  "set color_normal=light-gray/black",
  "help cat",
  "lspci",
];

/** Takes screens as PPM files into a folder and returns their paths. */
export async function takeGrubScreens(folder: string): Promise<string[]> {
  const machine = await GrubMachine.start(folder);
  const taken: string[] = [];
  const take = async () => {
    const path = join(folder, `${String(taken.length + 1).padStart(2, "0")}.ppm`);
    await machine.takeScreen(path);
    taken.push(path);
  };
  try {
    await machine.untilShows(showsMenu);
    await take();
    await machine.press("c");
    await machine.untilShows(showsPrompt);
    await take();
    for (const command of commands) {
      await machine.type(command);
      await machine.untilShows((text) => text.endsWith(`grub> ${command}`));
      await machine.press("ret");
      await machine.untilShows(showsPrompt);
      await take();
    }
  } finally {
    await machine.stop();
  }
  return taken;
}
