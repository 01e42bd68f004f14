# An SMSC in memory from Debian's libnet-smpp-perl: accepts every bind and message, hands messages to
# the bound receiver, and a receipt to the sender once the receiver has answered.
use strict;
use warnings;
use IO::Select;
use Net::SMPP;

my $listener = Net::SMPP->new_listen('127.0.0.1', port => $ARGV[0]) or die "listen: $!";
my $select = IO::Select->new($listener);
my ($receiver, $next_message_id, %sender_of) = (undef, 1);
$| = 1;
print "listening\n";

while (1) {
    for my $socket ($select->can_read) {
        if ($socket == $listener) {
            $select->add($listener->accept);
            next;
        }
        my $pdu = $socket->read_pdu;
        if (!$pdu) {
            $select->remove($socket);
            $socket->close;
            next;
        }
        serve($socket, $pdu);
    }
}

sub serve {
    my ($socket, $pdu) = @_;
    my $command = $pdu->{cmd};
    if ($command == Net::SMPP::CMD_submit_sm) {
        my $id = $next_message_id++;
        $socket->submit_sm_resp(message_id => $id, seq => $pdu->{seq}) or die;
        return unless $receiver;
        my $sequence = $receiver->deliver_sm(
            source_addr => $pdu->{source_addr},
            destination_addr => $pdu->{destination_addr},
            short_message => $pdu->{short_message},
            async => 1,
        );
        $sender_of{$sequence} = [$socket, $id] if $pdu->{registered_delivery};
    } elsif ($command == Net::SMPP::CMD_deliver_sm_resp) {
        my $sender = delete $sender_of{ $pdu->{seq} } or return;
        my ($from, $id) = @$sender;
        $from->deliver_sm(
            source_addr => '4900',
            destination_addr => '4900',
            esm_class => 4,
            short_message => "id:$id sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:",
            async => 1,
        );
    } elsif ($command == Net::SMPP::CMD_bind_receiver) {
        $receiver = $socket;
        $socket->bind_receiver_resp(system_id => 'perl', seq => $pdu->{seq});
    } elsif ($command == Net::SMPP::CMD_bind_transceiver) {
        $socket->bind_transceiver_resp(system_id => 'perl', seq => $pdu->{seq});
    } elsif ($command == Net::SMPP::CMD_enquire_link) {
        $socket->enquire_link_resp(seq => $pdu->{seq});
    }
}
