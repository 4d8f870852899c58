// What a page's reader has defined elsewhere may have any type.
/* eslint-disable @typescript-eslint/no-explicit-any */
// What the snippets of the README and of docs use without saying where it comes from: the page
// around them does.
import type { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import plugin, { type Store, type authenticate as guard } from 'fastify-jwt-sessions'
import type { Client, createClient as create } from 'fastify-jwt-sessions/client'
import type { subscribe as sub } from 'node:diagnostics_channel'

declare global {
  const fastify: FastifyInstance
  const app: FastifyInstance
  const authPlugin: typeof plugin
  const redis: Redis
  const store: Store
  const authenticate: typeof guard
  const secret: string
  const auth: Client
  const createClient: typeof create
  const subscribe: typeof sub
  // Of the application.
  const users: any
  const passwords: Map<string, string>
  const username: string
  const password: string
  const checkPassword: (body: unknown) => Promise<any>
  const showApp: () => void
  const showLogin: () => void
  const showError: (body: unknown) => void
  const alarm: (text: string) => void
  const secrets: Record<string, string>
  const info: { title: string, version: string }
  const SecureStore: any
  const KeyStore: any
  const root: string
  const api: string
  const build: any
  const nextApp: any
  const dir: string
  const reportOf: (sub: string) => string
  const listOf: (sub: string) => string
  const add: (sub: string, text: string) => void
  const follow: (sub: string, hear: (news: unknown) => void) => () => void
  const schema: string
  const resolvers: any
  const exchangeCode: (request: FastifyRequest) => Promise<any>
  // Of another snippet of the page.
  const turnOver: (redis: Redis, find: any, answer?: any) => Record<'enter' | 'leave', any>
  const bySession: any
  const oldOptions: any
  const oldLogin: any
  const landing: (to: unknown) => string
  const credentials: object
  const currentUser: AsyncLocalStorage<any>
  const render: (listener: any) => any
  const requestOf: (token: string) => FastifyRequest
  const whenEnded: (request: FastifyRequest, end: () => void) => () => void
}

declare module 'mercurius' {
  // What the recipe adds to the context of a subscription.
  interface MercuriusContext {
    socket: any
    guarded: any
  }
}
