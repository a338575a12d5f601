// Everything of tendril::serve: servers, HTTP, TLS, pre-forked workers, the backdoor.
#pragma once

#include "tendril/backdoor.hpp"
#include "tendril/datagram_server.hpp"
#include "tendril/http_server.hpp"
#include "tendril/prefork.hpp"
#include "tendril/stream_server.hpp"
#include "tendril/tls.hpp"
