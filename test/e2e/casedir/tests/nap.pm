use Mojo::Base 'basetest', -signatures;
use testapi;
# Something to report each second, for NAP_SECONDS
sub run ($self) {
    for my $n (1 .. get_required_var('NAP_SECONDS')) {
        sleep 1;
        record_info "second $n", "of a nap";
    }
}
1;
