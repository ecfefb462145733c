// Node's own server with the same constant, but the body read and parsed: what is left when express is not there. Prints its port.
import { createServer } from 'node:http';

const answer = JSON.stringify({ predictions: [{ duration_seconds: { p50: 12.4 } }] });
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString());
    response.setHeader('content-type', 'application/json');
    response.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
