"""Any Backend behind the OpenAI API, with a small web page: `isthmus serve`, `isthmus[serve]`."""
