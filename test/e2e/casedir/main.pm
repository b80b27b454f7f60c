# Tiny test distribution of the end-to-end tests: drives the shell of Debian's GRUB rescue CD.
# The TEST setting picks the schedule.
use Mojo::Base -strict, -signatures;
use testapi;
use autotest;

my $test = get_required_var('TEST');
die "deliberate death while loading the schedule\n" if $test eq 'die';

my %schedule = (
    pass => [qw(boot shell serial notes uploads extra shutdown)],
    fail => [qw(boot mismatch notes)],
    soft => [qw(boot softfail)],
    crash => [qw(boot kill_vm)],    # QEMU vanishes: incomplete
    long => [qw(boot idle)],
    quick => [qw(noop)],            # for BACKEND=null: no VM
    quick_fail => [qw(noop_fail)],  # likewise
    rest => [qw(noop rest)],        # likewise, and then sleeps for REST_SECONDS
    nap => [qw(noop nap noop_end)], # likewise, with something to report for NAP_SECONDS
    logs => [qw(noop many_logs)],   # likewise, with LOGS logs to upload
    look => [qw(boot shell)],
);
my $modules = $schedule{$test} // die "no schedule for TEST=$test\n";
autotest::loadtest "tests/$_.pm" for @$modules;
1;
