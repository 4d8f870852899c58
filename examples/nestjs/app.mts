// The plugin in a NestJS application on Fastify: a guard, a filter, a controller.
import 'reflect-metadata'
import { STATUS_CODES } from 'node:http'
import {
  Body,
  Catch,
  Controller,
  Delete,
  ForbiddenException,
  Get,
  HttpCode,
  Injectable,
  Module,
  NotFoundException,
  Param,
  Post,
  Req,
  Res,
  UseGuards
} from '@nestjs/common'
import type { ArgumentsHost, CanActivate, ExceptionFilter, ExecutionContext } from '@nestjs/common'
import { BaseExceptionFilter, HttpAdapterHost, NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import authPlugin, { type AuthPluginOptions } from 'fastify-jwt-sessions'

/** Lets in requests with a good access token. */
@Injectable()
export class AuthGuard implements CanActivate {
  async canActivate (context: ExecutionContext): Promise<boolean> {
    await context.switchToHttp().getRequest<FastifyRequest>().authenticate()
    return true
  }
}

/**
 * Answers Fastify's errors as Fastify does: Nest by itself drops their `code` and their headers,
 * and so the client's cue to refresh.
 */
@Catch()
export class FastifyErrorFilter extends BaseExceptionFilter implements ExceptionFilter {
  override catch (
    given: FastifyError & { headers?: Record<string, string> },
    host: ArgumentsHost
  ): void {
    const { statusCode, code, message, headers = {} } = given
    if (code === undefined || statusCode === undefined) return super.catch(given, host)
    host
      .switchToHttp()
      .getResponse<FastifyReply>()
      .code(statusCode)
      .headers(headers)
      .send({ statusCode, code, error: STATUS_CODES[statusCode], message })
  }
}

@Controller()
export class SessionController {
  @Post('login')
  @HttpCode(200)
  async login (
    @Body() { username, password }: { username: string, password: string },
    @Res({ passthrough: true }) reply: FastifyReply
  ) {
    // Your own check of a password, a passkey or a single sign-on goes here.
    if (username !== 'ada' || password !== 'lovelace') {
      throw new ForbiddenException('Wrong name or password')
    }
    return await reply.login({ sub: username })
  }

  @Get('devices')
  @UseGuards(AuthGuard)
  async devices (@Req() { server, user, sid: current }: FastifyRequest) {
    const sessions = await server.sessions.list((user as { sub: string }).sub)
    return sessions.map(({ sid, device, createdAt, refreshedAt }) => {
      // To the minute: who knows the very moment could refresh right after the owner.
      const seenAt = refreshedAt - refreshedAt % 60_000
      return { sid, device, createdAt, refreshedAt: seenAt, current: sid === current }
    })
  }

  @Delete('devices/:sid')
  @HttpCode(204)
  @UseGuards(AuthGuard)
  async end (@Req() { server, user }: FastifyRequest, @Param('sid') sid: string) {
    if (!(await server.sessions.revoke((user as { sub: string }).sub, sid))) {
      throw new NotFoundException()
    }
  }
}

@Module({ controllers: [SessionController] })
export class AppModule {}

/** Builds the application; `await (await createApp(options)).listen(3000)` starts it. */
export async function createApp (options: AuthPluginOptions): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
    logger: ['error']
  })
  await app.register(authPlugin, options)
  app.useGlobalFilters(new FastifyErrorFilter(app.get(HttpAdapterHost).httpAdapter))
  return app
}
