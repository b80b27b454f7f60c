// The configuration files of an openQA server of our own. Texts only.

export interface Ports {
  /** openQA's own fixed offsets from OPENQA_BASE_PORT. */
  readonly webUi: number;
  readonly websockets: number;
  readonly livehandler: number;
  readonly scheduler: number;
  /** Not the server's: a stock worker of the same OPENQA_BASE_PORT looks for its cache service there. */
  readonly cacheService: number;
  /** nginx: the base URL, and two above it the live view handler, where workers and browsers expect it. */
  readonly proxy: number;
  /** rsync daemon with the test distributions. */
  readonly rsync: number;
  readonly postgres: number;
}

/** How many consecutive ports `portsFrom` hands out. */
export const portCount = 9;

export function portsFrom(first: number): Ports {
  return {
    webUi: first,
    websockets: first + 1,
    livehandler: first + 2,
    scheduler: first + 3,
    cacheService: first + 4,
    proxy: first + 5,
    rsync: first + 6,
    postgres: first + 8,
  };
}

export const credentials = { key: "A1B2C3D4E5F60718", secret: "0123456789ABCDEF" };

export function clientConf(): string {
  const section = (host: string) => `[${host}]\nkey = ${credentials.key}\nsecret = ${credentials.secret}\n`;
  return `${section("127.0.0.1")}\n${section("localhost")}`;
}

export function databaseIni(ports: Ports): string {
  return `[production]
dsn = DBI:Pg:dbname=openqa;host=127.0.0.1;port=${ports.postgres}
user = geekotest
`;
}

export const openqaIni = `[global]
appname = end-to-end tests
branding = plain
[auth]
method = Fake
[logging]
level = debug
[rate_limits]
search = 1000
`;

export function postgresqlConf(ports: Ports, socketFolder: string): string {
  return `listen_addresses = '127.0.0.1'
port = ${ports.postgres}
unix_socket_directories = '${socketFolder}'
fsync = off
synchronous_commit = off
shared_buffers = 64MB
max_connections = 120
`;
}

/** Module `tests`: the test distributions. */
export function rsyncdConf(ports: Ports, folder: string): string {
  return `address = 127.0.0.1
port = ${ports.rsync}
use chroot = no
log file = ${folder}/log/rsyncd.log
[tests]
path = ${folder}/base/openqa/share/tests
read only = yes
`;
}

/** Assets whose path begins so arrive at 100 kB/s. */
const slowAssets = "/assets/iso/slow-";

/**
 * The same split as in the package's Apache configuration.
 * @param websocketPort where /api/v1/ws goes: the websocket server, or something that looks on in between
 */
export function nginxConf(ports: Ports, folder: string, websocketPort: number): string {
  return `daemon off;
pid ${folder}/nginx/pid;
error_log ${folder}/log/nginx-error.log warn;
worker_processes 1;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format timed '$msec $request_time $status $request_method $request_uri $body_bytes_sent';
    access_log ${folder}/log/nginx-access.log timed;
    client_body_temp_path ${folder}/nginx/body; proxy_temp_path ${folder}/nginx/proxy;
    fastcgi_temp_path ${folder}/nginx/fastcgi; uwsgi_temp_path ${folder}/nginx/uwsgi; scgi_temp_path ${folder}/nginx/scgi;
    map $http_upgrade $connection_header { default upgrade; '' ''; }
    server {
        listen 127.0.0.1:${ports.proxy}; listen 127.0.0.1:${ports.proxy + 2};
        client_max_body_size 0;
        client_body_buffer_size 2m;
        proxy_read_timeout 900; proxy_send_timeout 900;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Proto http;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_header;
        location ${slowAssets} { alias ${folder}/base/openqa/share/factory${slowAssets.slice("/assets".length)}; limit_rate 100k; }
        location ~ ^/tests/[0-9]+/(livelog|liveterminal|streaming)$ { proxy_pass http://127.0.0.1:${ports.webUi}; proxy_buffering off; }
        location /assets { alias ${folder}/base/openqa/share/factory; }
        location /image { alias ${folder}/base/openqa/images; }
        location /api/v1/ws/ { proxy_pass http://127.0.0.1:${websocketPort}; }
        location /liveviewhandler/ { proxy_pass http://127.0.0.1:${ports.livehandler}; proxy_buffering off; }
        location / { proxy_pass http://127.0.0.1:${ports.webUi}; }
    }
}
`;
}
