'{field}', CASE
    WHEN
        {conditions}
        THEN {value}
END
