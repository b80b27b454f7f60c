use Mojo::Base 'basetest', -signatures;
use testapi;
use Mojo::File 'path';
# Uploads that take a while: LOGS small files, put where upload_logs would put them
sub run ($self) {
    my $folder = path('ulogs')->make_path;
    $folder->child("log-$_.txt")->spew("log $_\n") for 1 .. get_required_var('LOGS');
}
1;
