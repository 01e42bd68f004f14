// An SMSC in memory from the npm package `smpp`: accepts every bind and message, hands messages to the
// bound receiver, and a receipt to the sender once the receiver has answered.
const smpp = require('smpp');

let receiver = null;
let nextMessageId = 1;

smpp.createServer((session) => {
  session.on('error', () => {});
  const accept = (pdu) => session.send(pdu.response());
  session.on('bind_receiver', (pdu) => { receiver = session; accept(pdu); });
  session.on('bind_transceiver', accept);
  session.on('bind_transmitter', accept);
  session.on('enquire_link', accept);
  session.on('unbind', accept);
  session.on('submit_sm', (pdu) => {
    const id = String(nextMessageId++);
    session.send(pdu.response({ message_id: id }));
    if (!receiver) return;
    const { source_addr, destination_addr, short_message } = pdu;
    receiver.deliver_sm({ source_addr, destination_addr, short_message }, () => {
      if (!pdu.registered_delivery) return;
      session.deliver_sm({
        source_addr: destination_addr,
        destination_addr: source_addr,
        esm_class: 4,
        short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:`,
        receipted_message_id: id,
        message_state: 2,
      });
    });
  });
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
