use Mojo::Base 'basetest', -signatures;
use testapi;
sub run ($self) { sleep get_required_var('REST_SECONDS') }
1;
