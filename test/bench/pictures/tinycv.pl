#!/usr/bin/env perl
# Pictures as isotovideo reads and writes them, by its own library.
#   tinycv.pl encode   stdin: lines "SOURCE<tab>PICTURE"; a PPM is placed on a screen of 1024x768 as QEMU's VNC does;
#                      writes PICTURE and, in .thumbs beside it, its thumbnail
#   tinycv.pl compare  stdin: lines "ONE<tab>OTHER"; prints "same" or "different" for each
use strict;
use warnings;
use lib '/usr/lib/os-autoinst';
use tinycv;

my %commands = (encode => \&encode, compare => \&compare);
my $command = $commands{$ARGV[0] // ''} or die "usage: $0 encode|compare\n";
while (my $line = <STDIN>) {
    chomp $line;
    $command->(split /\t/, $line);
}

sub encode {
    my ($source, $picture) = @_;
    my $image = $source =~ /\.ppm$/ ? on_screen($source) : tinycv::read($source);
    die "$source is no picture\n" unless $image;
    $image->write_with_thumbnail($picture);
}

sub on_screen {
    my ($source) = @_;
    open my $in, '<:raw', $source or die "$source: $!\n";
    local $/;
    my $screen = tinycv::from_ppm("P6\n1024 768\n255\n" . "\x78\x78\x78" x (1024 * 768));
    $screen->blend(tinycv::from_ppm(<$in>), 0, 0);
    return $screen;
}

sub compare {
    my ($one, $other) = map { tinycv::read($_) // die "$_ is no picture\n" } @_;
    print $one->ppm_data eq $other->ppm_data ? "same\n" : "different\n";
}
