// The whole API: fibers, their synchronisation, and descriptors.
#pragma once

#include "tendril/errors.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/fiber_local.hpp"
#include "tendril/io.hpp"
#include "tendril/queue.hpp"
#include "tendril/time.hpp"
#include "tendril/timeout.hpp"
