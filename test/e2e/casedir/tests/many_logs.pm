use Mojo::Base 'basetest', -signatures;
use testapi;
# Uploads that take a while: LOGS small files, where upload_logs puts them
sub run ($self) {
    mkdir 'ulogs';
    for my $n (1 .. get_required_var('LOGS')) {
        open my $log, '>', "ulogs/log-$n.txt" or die "log-$n.txt: $!";
        print $log "log $n\n";
    }
}
1;
