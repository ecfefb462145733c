// The least that express can do: answers a constant without reading the body. Prints its port.
import express from 'express';

const answer = JSON.stringify({ predictions: [{ duration_seconds: { p50: 12.4 } }] });
const app = express();
app.post('/v1/predictions', (_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(answer);
});
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
