// Locks a pool directory as the stock worker does: a POSIX record lock over the whole file, taken by a Perl process.
import { join } from "node:path";

const script = `
use strict; use warnings;
use Fcntl qw(F_SETLK F_WRLCK SEEK_SET);
$| = 1;
open my $file, '>>', $ARGV[0] or die $!;
my $lock = pack 's s x![l!] l! l! l', F_WRLCK, SEEK_SET, 0, 0, 0;
print fcntl($file, F_SETLK, $lock) ? "locked\\n" : "taken\\n";
<STDIN>;
`;

export interface StockLock {
  readonly pid: number;
  readonly isLocked: boolean;
  /** Ends the process, and with it the lock. */
  release(): Promise<void>;
}

export async function takeStockLock(poolDirectory: string): Promise<StockLock> {
  const child = Bun.spawn(["perl", "-e", script, join(poolDirectory, ".locked")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { value } = await child.stdout.getReader().read();
  return {
    pid: child.pid,
    isLocked: new TextDecoder().decode(value) === "locked\n",
    release: async () => {
      child.stdin.end();
      await child.exited;
    },
  };
}
