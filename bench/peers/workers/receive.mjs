// A receiver as a Node user would write it: Fastify, svix and one insert and commit a request.
import Fastify from 'fastify'
import pg from 'pg'
import { Webhook } from 'svix'
import { sql } from './shared.mjs'

// As many as in receive.py.
const CONNECTIONS = 16

const webhook = new Webhook(process.env.PEERS_SECRET)
const pool = new pg.Pool({ max: CONNECTIONS })
const insert = { name: 'receive', text: sql('receive') }

const app = Fastify({ logger: false })
// The signature is over the bytes as they came.
app.removeContentTypeParser('application/json')
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/webhooks/stack', async (request, reply) => {
  try {
    webhook.verify(request.body, request.headers)
  } catch {
    return reply.code(401).send()
  }
  await pool.query(insert, [request.headers['svix-id'], request.body])
  return reply.code(204).send()
})
await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`ready ${app.server.address().port}`)
process.on('SIGTERM', () => process.exit(0))
