# The stock worker's client of the cache service, at its default address: fetches an asset and syncs tests as the worker
# does, and prints what it got as JSON.
#   stock-client.pl HOST RSYNC-SOURCE NAME...
use Mojo::Base -strict, -signatures;
use Mojo::JSON 'encode_json';
use OpenQA::CacheService::Client;

my ($host, $source, @names) = @ARGV;
my $client = OpenQA::CacheService::Client->new(attempts => 1);

sub outcome ($request) {
    my $error = $client->enqueue($request);
    return {error => $error} if $error;
    my $status;
    do { $status = $client->status($request) } until $status->is_processed || $status->has_error;
    my $output = $status->output;
    return {
        success => $status->is_success ? 1 : 0,
        refused => "$output" =~ qr/4\d\d / ? 1 : 0,
        result => $status->result,
        output => $output
    };
}

my %outcomes = (availability => $client->info->availability_error);
for my $name (@names) {
    my $outcome = outcome($client->asset_request(id => 31, asset => $name, type => 'iso', host => $host));
    $outcomes{$name} = {%$outcome, exists => $client->asset_exists($host, $name) ? 1 : 0};
}
$outcomes{sync} = outcome($client->rsync_request(from => $source, to => $client->cache_dir . '/127.0.0.1'));
say encode_json(\%outcomes);
