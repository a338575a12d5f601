# cmake -DPROGRAM=… -DEXPECTED=… -P expect_output.cmake: runs the program and compares its output.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output RESULT_VARIABLE result TIMEOUT 60)
file(READ ${EXPECTED} expected)
if(NOT result STREQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}; it printed:\n${output}")
endif()
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "expected:\n${expected}\nbut ${PROGRAM} printed:\n${output}")
endif()
