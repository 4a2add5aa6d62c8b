import type { z } from 'zod';
import type { Caller, Rooms, SignedIn, SignedInPermission } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';

/** Who may use a route. `operator` is for addresses that the configuration names, without a session (metrics). */
export type Permission = 'public' | 'operator' | SignedInPermission;

export interface Asked<Body, Query> {
  readonly rooms: Rooms;
  readonly body: Body;
  readonly query: Query;
  /** The body as it came, where the route takes a text; empty otherwise. */
  readonly text: Buffer;
  /** Fires when the client hangs up; for answers that wait. */
  readonly gone: () => AbortSignal;
  /** The `DPoP` header and what it must speak of. */
  readonly proof: { readonly proof: string | undefined; readonly method: string; readonly path: string };
}

/** Bytes as they are: lists, bundles, metrics. */
export interface BytesAnswer {
  readonly contentType: string;
  readonly bytes: Buffer | AsyncIterable<Buffer>;
  readonly etag?: string;
  readonly fileName?: string;
}

export type Answer = { readonly json: unknown; readonly status?: number } | BytesAnswer | 'nothing';

interface RouteBase {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: `/${string}`;
  readonly summary: string;
  readonly body?: z.ZodType;
  /** Takes `text/plain` instead of JSON, up to so many bytes; refusals are text too, for clients that accept it and no JSON. */
  readonly text?: { readonly maxBytes: number };
  readonly query?: z.ZodType;
  /** Status of success, and the schema of its JSON or the content type of its bytes. */
  readonly answers: {
    readonly status: 200 | 201 | 204;
    /** Further statuses that are no problem documents: 304 without a body, any other with the same JSON. */
    readonly others?: readonly number[];
    readonly json?: z.ZodType;
    readonly contentType?: string;
  };
}

export type Route = RouteBase &
  (
    | {
        readonly permission: 'public' | 'operator';
        handle(asked: Asked<unknown, unknown>, caller: Caller): Promise<Answer>;
      }
    | {
        readonly permission: 'session' | 'admin' | 'admin-or-auditor';
        handle(asked: Asked<unknown, unknown>, caller: SignedIn): Promise<Answer>;
      }
  );

type Input<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** Ties the handler's types to the schemas that parse its input. */
export function route<
  const Allowed extends Permission,
  Body extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
>(
  definition: Omit<RouteBase, 'body' | 'query'> & {
    readonly permission: Allowed;
    readonly body?: Body;
    readonly query?: Query;
    handle(
      asked: Asked<Input<Body>, Input<Query>>,
      caller: Allowed extends 'public' | 'operator' ? Caller : SignedIn,
    ): Promise<Answer>;
  },
): Route {
  return definition as Route;
}

/** A decimal string within 64 bits; the schema has bounded its length. */
export function toUint64(decimal: string): bigint {
  const value = BigInt(decimal);
  if (value < 1n << 63n) return value;
  throw new CodedError('http.bad_request', 'A number in the request is too large.', {
    next: 'Leave it out, or use what an earlier answer gave.',
  });
}
