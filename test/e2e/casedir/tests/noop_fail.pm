use Mojo::Base 'basetest', -signatures;
use testapi;
sub run ($self) { die "deliberate failure\n" }
1;
