#!/usr/bin/perl
# Reads a web server's log from standard input and prints what was asked for, as JSON.
use v5.32;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode);
use JSON::PP;
use List::Util qw(max sum0);
use POSIX qw(ceil);
use Time::Piece;

my (%bytes, %hours, @sizes);
while (<STDIN>) {
    my ($time, $path, $size) = /\[(\S+) [^]]*\] "\w+ (\S+) [^"]*" \d+ (\d+)/ or next;
    $path =~ s/%(\p{AHex}{2})/chr hex $1/ge;
    $bytes{ decode('UTF-8', $path) } += $size;
    $hours{ Time::Piece->strptime($time, '%d/%b/%Y:%H:%M:%S')->strftime('%F %H') }++;
    push @sizes, $size;
}
die "no line is understood\n" unless @sizes;
my %report = (
    bytes    => \%bytes,
    hours    => \%hours,
    largest  => max(@sizes),
    kilobyte => ceil(sum0(@sizes) / 1000),
    digest   => sha256_hex(join ',', @sizes),
);
print JSON::PP->new->canonical->utf8->pretty->indent_length(1)->encode(\%report);
