// Values of FiberLocal variables of one fiber.
#pragma once

#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

// Destroys the running fiber's values, newest first; again if that made new ones, a few times.
void destroy_locals(FiberRecord& record) noexcept;

}  // namespace tendril::detail
