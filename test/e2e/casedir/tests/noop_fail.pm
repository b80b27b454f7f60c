use Mojo::Base 'basetest', -signatures;
use testapi;
# os-autoinst looks at the serial line when a module fails, and without a VM there is none
sub run ($self) {
    open my $serial, '>', 'serial0' or die "serial0: $!";
    die "deliberate failure\n";
}
1;
