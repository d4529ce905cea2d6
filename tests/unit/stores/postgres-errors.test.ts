import pg from 'pg';
import { describe, expect, test } from 'vitest';
import {
  contentError,
  isWorthAnotherTry,
  sqlState,
  storeErrorFrom,
} from '../../../ts/src/stores/postgres/errors.ts';

const context = {
  doing: 'list what is',
  location: 'postgres://ada@db/logins',
  host: 'db:5432',
  user: 'ada',
  database: 'logins',
};
const explain = (error: unknown) => storeErrorFrom(error, context);

/** An answer of the server, as the driver throws it. */
const said = (code: string, message = 'it is so', more: object = {}) =>
  Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code, severity: 'ERROR', ...more });
/** A failure on the way to it. */
const failing = (code: string, message = code) => Object.assign(new Error(message), { code });

describe('what the server answers is told in words, with what to do', () => {
  test.each([
    ['57P04', 'refused', /no database logins/, /CREATE DATABASE/],
    ['42P01', 'refused', /a table of the store is not there/, /sync/],
    ['42703', 'refused', /right name and other columns/, /PGSTORE_SCHEMA/],
    ['42883', 'refused', /right name and other columns/, /PGSTORE_SCHEMA/],
    ['53100', 'refused', /disk is full/, /Make room/],
    ['53400', 'unreachable', /no connection left/, /max_connections/],
    ['57P01', 'unreachable', /being started or stopped/, /tried again/],
    ['57P02', 'unreachable', /being started or stopped/, /tried again/],
    ['42601', 'refused', /does not understand it \("it is so"\)/, /PostgreSQL 12/],
    ['22023', 'configuration', /does not know a parameter/, /parameters in PGSTORE_DSN/],
    ['42939', 'configuration', /name of the schema is reserved/, /PGSTORE_SCHEMA/],
    ['53200', 'unreachable', /the server failed \(53200, "it is so"\)/, /tried again/],
    ['XX001', 'unreachable', /the server failed/, /tried again/],
    ['0A000', 'refused', /the server refuses it \(0A000, "it is so"\)/, /PGSTORE_DSN/],
  ] as const)('%s', (code, kind, message, remedy) => {
    const error = explain(said(code));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
  });

  test('a message that could quote a credential is not repeated', () => {
    const error = explain(said('23514', 'Failing row contains (a.json, {"access_token": "secret"})'));
    expect(error).toMatchObject({ kind: 'refused' });
    expect(`${error.message} ${error.remedy}`).not.toMatch(/secret/);
    expect(error.message).toMatch(/cannot hold it \(23514\)/);
  });

  test('a content that it does not take for another reason than those that are known', () => {
    expect(contentError(said('23514'), 'a.json', 'postgres://db').message).toMatch(
      /the server refuses such content \(23514\)/,
    );
  });
});

describe('a connection that fails before there is an answer', () => {
  test.each([
    [failing('ETIMEDOUT'), 'unreachable', /did not answer in time/],
    [
      new Error('SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature is wrong'),
      'refused',
      /prove the password/,
    ],
    [failing('EACCES'), 'refused', /this user may not use db:5432 \(EACCES\)/],
    [failing('EPERM'), 'refused', /this user may not use/],
    [failing('EPROTO'), 'refused', /TLS with db:5432 failed \(EPROTO\)/],
    [failing('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'refused', /TLS with db:5432 failed/],
    [failing('ERR_OSSL_PEM_NO_START_LINE'), 'refused', /TLS with db:5432 failed/],
    [failing('ENETUNREACH'), 'unreachable', /the connection to db:5432 failed \(ENETUNREACH\)/],
    [new AggregateError([failing('ECONNREFUSED')]), 'unreachable', /connection refused/],
    ['a text', 'unreachable', /the connection to db:5432 was lost/],
    [undefined, 'unreachable', /the connection to db:5432 was lost/],
  ])('%s', (error, kind, message) => {
    expect(explain(error)).toMatchObject({ kind, message: expect.stringMatching(message) });
  });
});

test('a mistake in this program is not put down to the server', () => {
  const mistake = new TypeError('undefined is not a function');
  expect(() => explain(mistake)).toThrow(mistake);
});

test('hosts that make the same table at once are no failure: the later one tries again', () => {
  expect(isWorthAnotherTry(said('23505', 'duplicate key', { table: 'pg_type' }))).toBe(true);
  expect(isWorthAnotherTry(said('23505', 'duplicate key', { table: 'auth_store' }))).toBe(false);
  expect(isWorthAnotherTry(said('23505'))).toBe(false);
  expect(isWorthAnotherTry(said('XX000', 'tuple concurrently updated'))).toBe(true);
  expect(isWorthAnotherTry(said('42710', 'type "auth_store" already exists'))).toBe(true);
  expect(isWorthAnotherTry(said('XX000', 'cache lookup failed'))).toBe(false);
});

test('an answer without a code is none that tells of the server', () => {
  expect(sqlState(Object.assign(new Error('odd'), { severity: 'FATAL', code: 7 }))).toBeUndefined();
});
