#!/usr/bin/env perl
# A worker without any SDK, written from proto/README.md alone, with the modules that come with Perl.
#
#     PortAdapter::new("perl").arg("examples/workers/worker.pl")
#
# One thread and no hurry: what takes time is a stream that is continued, or a moment that is waited for, so that Ping, Cancel and
# Credit are heard in between, and several requests are under way at once. The sections in the comments are those of the contract.
use strict;
use warnings;
use Encode ();
use Errno qw(EINTR EPIPE);
use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use JSON::PP ();
use Scalar::Util qw(looks_like_number);
use Time::HiRes qw(time);

use constant {
    HELLO => 0x01, EXECUTE => 0x02, EXECUTE_STREAM => 0x03, CANCEL => 0x04, CREDIT => 0x05, END_SESSION => 0x06, PING => 0x07, DRAIN => 0x08,
    PART => 0x21, READY => 0x41, STARTED => 0x42, RESULT => 0x43, ERROR => 0x44, CHUNK => 0x45, STREAM_END => 0x46, PONG => 0x47,
    OPTIONAL => 1, MORE => 2, LONGEST => 1_048_576, PIECE => 262_144, MARGIN => 1_048_576, UNANSWERED => 4096, CAPACITY => 8,
    # Chunks that one stream sends before the others have their turn.
    TURN => 16,
};

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($payload_limit, $tells_started, $has_greeted, $is_draining, $is_terminating) = (67_108_864, 0, 0, 0, 0);
my (%cut, %cancelled_early, @waiting, %running, %sessions, $input, $from_host, $to_host);

# What it can do. A command returns a payload, or { until, result } to be asked again later, or { next } to be a stream; it dies
# with { kind, message } to be an Error.

my %commands = (
    echo     => { run => sub { my ($arguments) = @_; json_payload(one_of($arguments, "value", 0)) } },
    add      => { run => sub { my ($arguments) = @_; json_payload(number_of($arguments, "a", 0) + number_of($arguments, "b", 1)) } },
    sleep    => { run => \&nap },
    fail     => { run => sub { my ($arguments) = @_; die { kind => "error", type => "Example", message => "" . one_of($arguments, "message", 0) } } },
    count    => { run => \&count, stream => 1 },
    remember => { run => \&remember },
);
if (grep { $_ eq "--conformance" } @ARGV) {    # section 13
    $commands{"snakepit.test.$_"} = $commands{$_} for qw(sleep fail count);
    $commands{"snakepit.test.echo"} = { run => sub { my ($arguments, $request) = @_; [@$request{qw(type data attachments)}] } };
}

sub nap {
    my $ms = number_of($_[0], "ms", 0);
    return { until => time + $ms / 1000, result => json_payload($ms) };
}

sub count {
    my ($i, $n) = (0, number_of($_[0], "n", 0));
    return { next => sub { $i < $n ? json_payload({ i => $i++ }) : undef } };
}

sub remember {
    my ($arguments, $request) = @_;
    die { kind => "invalid_argument", message => "remember keeps state: call it in a session" } unless length $request->{session};
    $request->{kept}{ one_of($arguments, "key", 0) } = one_of($arguments, "value", 1);
    return json_payload($request->{kept});
}

sub one_of {    # by name or by position, section 4
    my ($arguments, $name, $place) = @_;
    my $is_there = ref $arguments eq "HASH" ? exists $arguments->{$name} : ref $arguments eq "ARRAY" && $place < @$arguments;
    die { kind => "invalid_argument", message => "the argument '$name' is missing" } unless $is_there;
    return ref $arguments eq "HASH" ? $arguments->{$name} : $arguments->[$place];
}

sub number_of {
    my ($value, $name) = (one_of(@_), $_[1]);
    die { kind => "invalid_argument", message => "the argument '$name' is no number" } if ref $value || !looks_like_number($value);
    return $value;
}

sub json_payload { return ["", $json->encode($_[0]), []] }

# Frames out, sections 2 and 4.

sub send_frame {
    my ($kind, $id, $body, $flags) = @_;
    my ($bytes, $sent) = (pack("N C C n Q>", 12 + length $body, $kind, $flags // 0, 0, $id) . $body, 0);
    while ($sent < length $bytes) {
        my $written = syswrite($to_host, $bytes, length($bytes) - $sent, $sent);
        if (defined $written) { $sent += $written }
        elsif ($! == EPIPE) { exit 0 }
        elsif ($! != EINTR) { die "fd to the host: $!\n" }
    }
}

sub send_body {    # cut where it is long
    my ($kind, $id, $body) = @_;
    for (my $at = 0; ; $at += PIECE, $kind = PART) {
        my $is_last = $at + PIECE >= length $body;
        send_frame($kind, $id, substr($body, $at, PIECE), $is_last ? 0 : MORE);
        return if $is_last;
    }
}

sub send_error { my ($id, %fields) = @_; send_body(ERROR, $id, $json->encode(\%fields)) }

sub body_of {    # of a payload, or undef where it is over the limit
    my ($type, $data, $attachments) = @{ $_[0] };
    my $size = length($data);
    $size += length for @$attachments;
    return undef if $size > $payload_limit;
    return pack("n n N N*", length $type, scalar @$attachments, length $data, map { length } @$attachments) . join("", $type, $data, @$attachments);
}

# Frames in: each check in the order of section 10.

sub breach { my ($word, $reason) = @_; print STDERR "the host broke the contract: $word: $reason\n"; exit 70 }

sub take_in {
    while (length $input >= 4) {
        my $length = unpack("N", $input);
        breach("length_too_short", $length) if $length < 12;
        breach("length_too_long", $length) if $length > LONGEST;
        return if length $input < 4 + $length;
        my ($kind, $flags, $reserved, $id) = unpack("x4 C C n Q>", $input);
        my $body = substr(substr($input, 0, 4 + $length, ""), 16);
        take_frame($kind, $flags, $reserved, $id, $body);
    }
}

sub take_frame {
    my ($kind, $flags, $reserved, $id, $body) = @_;
    breach("reserved_bits", "flags $flags, reserved field $reserved") if $flags & ~(OPTIONAL | MORE) || $reserved;
    my $is_known = ($kind >= HELLO && $kind <= DRAIN) || $kind == PART;
    breach("unknown_kind", $kind) if !$is_known && !($flags & OPTIONAL);
    my $may_be_cut = $kind == EXECUTE || $kind == EXECUTE_STREAM;
    breach("more_not_allowed", "kind $kind") if $flags & MORE && !$may_be_cut && $kind != PART;
    return if !$is_known;
    breach("request_id", "kind $kind") if $id == 0 && ($may_be_cut || $kind == CANCEL || $kind == CREDIT || $kind == PART);
    if ($kind == PART) {
        breach("part_without_start", "request $id") unless $cut{$id};
    }
    elsif ($may_be_cut) {
        breach("body_under_way", "request $id") if $cut{$id};
        $cut{$id} = { kind => $kind, body => "" } if $flags & MORE;
    }
    if (my $under_way = $cut{$id}) {
        if ($kind == PART || $may_be_cut) {
            $under_way->{body} .= $body;
            breach("body_too_long", "request $id") if length $under_way->{body} > $payload_limit + MARGIN;
            return if $flags & MORE;
            delete $cut{$id};
            ($kind, $body) = @$under_way{qw(kind body)};
        }
    }
    take_message($kind, $id, $body);
}

sub take_message {
    my ($kind, $id, $body) = @_;
    breach("out_of_order", "kind $kind before Hello") if !$has_greeted && $kind != HELLO;
    if    ($kind == HELLO)          { greet($body) }
    elsif ($kind == EXECUTE)        { take_request($id, 0, $body) }
    elsif ($kind == EXECUTE_STREAM) { take_request($id, 1, $body) }
    elsif ($kind == CREDIT)         { take_credit($id, $body) }
    elsif ($kind == END_SESSION)    { delete $sessions{ text($body) } }
    else {
        breach("body_lengths", "kind $kind with a body") if length $body;
        if    ($kind == CANCEL) { cancel($id) }
        elsif ($kind == PING)   { send_frame(PONG, $id, "") }
        else                    { $is_draining = 1 }
    }
}

sub greet {
    my $hello = eval { $json->decode($_[0]) };
    breach("out_of_order", "a second Hello") if $has_greeted++;
    breach("json", "Hello") if ref $hello ne "HASH" || ref $hello->{protocol} ne "ARRAY";
    if (!grep { !ref && $_ eq "1" } @{ $hello->{protocol} }) {
        print STDERR "no common protocol version: the host speaks @{ $hello->{protocol} }, this worker 1\n";
        exit 78;
    }
    $payload_limit = $hello->{payload_limit} // $payload_limit;
    my @features = grep { $_ eq "started" } @{ $hello->{features} // [] };
    breach("json", "payload_limit") if ref $payload_limit || !looks_like_number($payload_limit);
    $tells_started = @features;
    my @told = map { { name => $_, stream => $commands{$_}{stream} ? JSON::PP::true : JSON::PP::false } } sort keys %commands;
    send_frame(READY, 0, $json->encode({ protocol => 1, features => \@features, capacity => CAPACITY, agent => "worker.pl", commands => \@told }));
}

sub text { my ($bytes) = @_; return eval { Encode::decode("UTF-8", $bytes, Encode::FB_CROAK) } // breach("text", "not UTF-8") }

sub take_request {    # section 4
    my ($id, $is_stream, $body) = @_;
    my %request = (id => $id, is_stream => $is_stream, chunks => 0, bytes => 0);
    my $at = $is_stream ? 8 : 0;
    breach("body_lengths", "request $id") if length $body < $at + 24;
    @request{qw(chunks bytes)} = unpack("N N", $body) if $is_stream;
    my ($left, $command, $session, $type, $trace, $metadata, $count, $reserved, $data) = unpack("x$at N n n n n N n n N", $body);
    breach("reserved_bits", "request $id") if $reserved;
    $at += 24;
    breach("body_lengths", "request $id") if length $body < $at + 4 * $count;
    my @lengths = unpack("x$at N$count", $body);
    $at += 4 * $count;
    my $size = $at;
    $size += $_ for $command, $session, $type, $trace, $metadata, $data, @lengths;
    breach("body_lengths", "request $id: $size of " . length $body) if $size != length $body;
    my @fields = map { my $field = substr($body, $at, $_); $at += $_; $field } $command, $session, $type, $trace, $metadata, $data, @lengths;
    @request{qw(command session)} = (text($fields[0]), text($fields[1]));
    text($_) for @fields[2, 3];
    read_metadata($fields[4]);
    @request{qw(type data attachments)} = (@fields[2, 5], [@fields[6 .. $#fields]]);
    $request{deadline} = time + $left / 1000 if $left != 0xffffffff;
    # Bound on arrival: an EndSession that comes while the request waits ends the session for later requests only.
    $request{kept} = $sessions{ $request{session} } //= {} if length $request{session};
    return send_error($id, kind => "cancelled") if delete $cancelled_early{$id};
    breach("duplicate_request", $id) if $running{$id} || grep { $_->{id} == $id } @waiting;
    breach("too_many_requests", $id) if @waiting + keys %running >= UNANSWERED;
    return send_error($id, kind => "draining", retryable => JSON::PP::true) if $is_draining || $is_terminating;
    push @waiting, \%request;
}

sub read_metadata {
    my ($bytes) = @_;
    while (length $bytes) {
        breach("body_lengths", "metadata") if length $bytes < 4;
        my ($key, $value) = unpack("n n", substr($bytes, 0, 4, ""));
        breach("body_lengths", "metadata") if length $bytes < $key + $value;
        text(substr($bytes, 0, $_, "")) for $key, $value;
    }
}

sub take_credit {    # section 6
    my ($id, $body) = @_;
    breach("body_lengths", "Credit") if length $body != 8;
    my ($chunks, $bytes) = unpack("N N", $body);
    for my $request (grep { $_->{id} == $id } @waiting, values %running) { $request->{chunks} += $chunks; $request->{bytes} += $bytes }
}

sub cancel {    # section 7
    my ($id) = @_;
    if ($cut{$id}) { $cancelled_early{$id} = 1 }
    elsif ($running{$id}) { finish($id, ERROR, kind => "cancelled") }
    elsif (grep { $_->{id} == $id } @waiting) {
        @waiting = grep { $_->{id} != $id } @waiting;
        send_error($id, kind => "cancelled");
    }
}

# Work: section 5.

sub finish {
    my ($id, $kind, @rest) = @_;
    delete $running{$id};
    if ($kind == ERROR) { send_error($id, @rest) }
    else                { send_body($kind, $id, $rest[0]) }
}

sub begin {
    my ($request) = @_;
    my ($id, $command) = ($request->{id}, $commands{ $request->{command} });
    $running{$id} = $request;
    send_frame(STARTED, $id, "") if $tells_started;
    my $outcome = eval {
        die { kind => "unknown_command", message => "no command $request->{command}" } unless $command;
        die { kind => "streaming_not_supported" } if !$command->{stream} != !$request->{is_stream};
        die { kind => "deadline_exceeded" } if defined $request->{deadline} && time >= $request->{deadline};
        my $size = length $request->{data};
        $size += length for @{ $request->{attachments} };
        die { kind => "payload_too_large" } if $size > $payload_limit;
        $command->{run}->(arguments_of($request), $request);
    };
    if (!defined $outcome) {
        my $error = ref $@ ? $@ : { kind => "error", type => "Perl", message => "$@" };
        return finish($id, ERROR, %$error);
    }
    if (ref $outcome eq "HASH") { @$request{ keys %$outcome } = values %$outcome }
    else                        { answer($request, $outcome) }
}

sub arguments_of {
    my ($request) = @_;
    return [$request->{data}] if length $request->{type} && $request->{type} !~ m{^application/(?:json|[^;]*\+json)\s*(?:;|$)}i;
    return [] unless length $request->{data};
    my $arguments = eval { $json->decode($request->{data}) };
    die { kind => "invalid_argument", message => "the arguments are not JSON: $@" } if $@;
    return $arguments // [] if !defined $arguments || ref $arguments eq "HASH" || ref $arguments eq "ARRAY";
    die { kind => "invalid_argument", message => "the arguments are neither an object nor an array" };
}

sub answer {
    my ($request, $payload) = @_;
    my $body = body_of($payload);
    defined $body ? finish($request->{id}, RESULT, $body) : finish($request->{id}, ERROR, kind => "payload_too_large");
}

sub go_on {    # one turn of one request; whether it could go on at once
    my ($request) = @_;
    if (exists $request->{until}) {
        answer($request, $request->{result}) if time >= $request->{until};
        return 0;
    }
    for (1 .. TURN) {
        # The item is made before its credit is asked for: thus the end needs none.
        $request->{held} //= $request->{next}->();
        return finish($request->{id}, STREAM_END, "") && 0 unless defined $request->{held};
        return 0 unless $request->{chunks} > 0 && $request->{bytes} > 0;
        my $body = body_of(delete $request->{held}) // return finish($request->{id}, ERROR, kind => "payload_too_large") && 0;
        $request->{chunks} -= 1;
        $request->{bytes} -= length $body;
        send_body(CHUNK, $request->{id}, $body);
    }
    return 1;
}

sub work {    # seconds until there is more to do; undef: not before something comes
    begin(shift @waiting) while @waiting && keys %running < CAPACITY;
    my $wait;
    for my $request (values %running) {
        my $at_once = go_on($request);
        next unless $running{ $request->{id} };
        my $seconds = $at_once ? 0 : exists $request->{until} ? $request->{until} - time : next;
        $wait = $seconds if !defined $wait || $seconds < $wait;
    }
    return @waiting && keys %running < CAPACITY ? 0 : $wait;
}

# Life: sections 1 and 8.

sub take_the_wire {
    my $wire = delete $ENV{SNAKEPIT_WIRE};
    if (!defined $wire) {
        print "a worker of a snakepit pool; its host starts it. Commands: @{[ sort keys %commands ]}\n";
        exit 0;
    }
    if ($wire ne "port" && $wire ne "stdio") { print STDERR "SNAKEPIT_WIRE is '$wire'; this worker speaks port and stdio\n"; exit 78 }
    my ($in, $out) = $wire eq "stdio" ? (0, 1) : (3, 4);
    # Duplicates, which Perl makes close-on-exec; the small numbers are given up.
    my $is_there = open($from_host, "<&", $in) && open($to_host, ">&", $out);
    if (!$is_there) { print STDERR "the fds $in and $out cannot be used: $!\n"; exit 78 }
    if ($wire eq "stdio") {
        open(STDIN, "<", "/dev/null") && open(STDOUT, ">&", \*STDERR) or exit 78;
    }
    else { require POSIX; POSIX::close($_) for 3, 4 }
    fcntl($_, F_SETFD, fcntl($_, F_GETFD, 0) | FD_CLOEXEC) for $from_host, $to_host;
}

take_the_wire();
$| = 1;
$SIG{PIPE} = "IGNORE";
$SIG{INT} = sub { };
$SIG{TERM} = sub { $is_terminating = 1 };
$input = "";
while (1) {
    my $wait = work();
    if ($is_terminating) { send_error($_->{id}, kind => "draining", retryable => JSON::PP::true) for splice @waiting }
    exit 0 if ($is_terminating || ($is_draining && !%cut)) && !@waiting && !%running;
    # Perl looks for signals between its own steps: one that comes in the instant before the wait is seen a second later.
    my $ready = "";
    vec($ready, fileno $from_host, 1) = 1;
    next unless select($ready, undef, undef, defined $wait && $wait < 1 ? ($wait > 0 ? $wait : 0) : 1) > 0;
    my $count = sysread($from_host, $input, 65536, length $input);
    exit 0 if defined $count && $count == 0;
    take_in() if $count;
}
